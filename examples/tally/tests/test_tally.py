import unittest

from tally import tally


class Tally(unittest.TestCase):
    def test_words(self):
        self.assertEqual(tally("a rose is a rose"), [("a", 2), ("rose", 2), ("is", 1)])

    def test_nothing(self):
        self.assertEqual(tally(" \n"), [])


if __name__ == "__main__":
    unittest.main()
