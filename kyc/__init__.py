"""Who the merchants are: verification cases, their documents and decisions."""
