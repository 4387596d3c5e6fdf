"""From a feed address or a file to stored stories, each of them once."""
