"""The rules on paper: the matrix that people sign, and the tests that prove what the rules say."""
