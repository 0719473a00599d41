"""The records that the page shows, when two drawings agree, and the ledger of machines."""
