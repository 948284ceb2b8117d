"""What a builder left.

It is taken (`stage`), has rules to keep (`checks`), and the build was for something (`modes`).
"""
