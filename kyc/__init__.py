"""KYC: verification cases of merchants, their documents and decisions."""
