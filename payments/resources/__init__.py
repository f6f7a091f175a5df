"""JSON representations of payments, CLABEs and reports, shared by API responses and events."""
