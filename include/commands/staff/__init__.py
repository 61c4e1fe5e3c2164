"""People without SQL: files of branches, staff, rosters and leave are checked, then loaded whole or not at all."""
