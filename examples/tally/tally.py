"""Counts the words in a text."""

import sys
from collections import Counter


def tally(text):
    """Words and how often they are there, the most frequent first."""
    return Counter(text.split()).most_common()


def main():
    """Read standard input, print a line for each word."""
    for word, count in tally(sys.stdin.read()):
        print(count, word)
