"""The portal's pages: what each shows, worked out from services, ready for its template."""
