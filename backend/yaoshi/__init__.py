"""Yaoshi: an authentication backend that a team owns.

The map of the house, top storey first (a room knows only rooms below it):

    porch      cli, wsgi, server, app, bootstrap, instance, settings, announce, migrations
    faces      ops: health, the API page
    journeys   signup, signin, recovery
    rooms      passwords, sessions, accounts, codes
    plumbing   audit, limits, keys
    ground     web (HTTP), core (knows nothing of identity)

A login reads: `web/endpoint`, `signin/routes`, `signin/service`, and what that opens in accounts, passwords and
sessions.
"""

__version__ = "0.1.0"
