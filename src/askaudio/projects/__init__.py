"""What people keep of a collection: favourites, projects, notes, saved searches and what they used, in SQLite."""
