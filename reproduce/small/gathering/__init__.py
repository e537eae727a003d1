"""Sources of ``gather``: packages by apt, their licences, the sounds in them, and rendered sounds."""
