"""One file a revision, in the order of their numbers. A revision that has been released is never changed; a new one follows it."""
