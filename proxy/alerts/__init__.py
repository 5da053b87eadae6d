"""Alerts: operators are told by webhook and e-mail what needs them.

``news`` finds out what there is to tell and keeps it as rows, ``delivery`` takes rows
that are due and has a channel of ``channels`` tell them together.
"""
