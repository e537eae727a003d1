"""Ground floor: ids and array types, the error family, optional extras, small numpy functions, safe file writes."""
