"""Parts of gather.py: packages by apt, their licences, the sounds found in them, and sounds rendered."""
