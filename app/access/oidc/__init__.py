"""Callers whom an identity provider vouches for: OAuth 2.0 access tokens (RFC 9068, RFC 7662).

keys        the provider's public keys, fetched, remembered, rotated
tokens      is this token what the provider signed, for us, and valid now
asking      asking the provider about a token (introspection)
binding     to whose certificate a token is bound
smart       what the scopes of SMART on FHIR v2 let a caller do
provider    all of it together: from a token to a caller
"""
