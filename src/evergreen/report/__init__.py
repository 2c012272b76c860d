"""Pages that people read: quarantined deliveries, decisions, the overview."""
