"""What has to be built.

The goals of a request, what they need (`input_closure`), and damaged outputs that can be made
again (`repair`).
"""
