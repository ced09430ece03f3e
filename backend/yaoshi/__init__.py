"""Yaoshi: an authentication backend that a team owns.

The map of the house, top storey first (a room knows only rooms below it):

    porch      cli, wsgi, server, app, bootstrap, instance, settings, migrations
    faces      ops: health, options, figures, the API page
    journeys   signup, signin, recovery, contacts
    rooms      passwords, sessions, accounts, codes
    plumbing   messaging, outbox, audit, limits, keys
    ground     web (HTTP), core (knows nothing of identity)

A login reads: `web/endpoint`, `signin/routes`, `signin/service`, and what that opens in accounts, passwords and
sessions.
"""

__version__ = "0.1.0"
