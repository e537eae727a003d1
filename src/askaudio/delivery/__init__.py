"""Taking a selection out of a collection: copies, archives, lists, timelines, each with credits."""
