"""Jobs and who waits for them.

One scheduler for all sessions, fair shares, each listener's events and limits, and how a request is
met (`realisation`).
"""
