"""One file a channel, with its config model beside it; found through entry points."""
