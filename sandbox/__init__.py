"""Simulators of STP (SPEI, incoming and outgoing) and Conekta (OXXO cash orders), run as a separate process.

They implement the providers' wire protocols over HTTP and share no code with the apps, so that a mistake on one side of
the wire cannot cancel out on the other. Play money only: the simulators never contact a provider.

Start with ``python -m sandbox --port 9100 --data DIR`` and open ``http://127.0.0.1:9100/``.

The control API under ``/_sim`` simulates what happens around the providers: bank customers, a till, orders that go
wrong, the clock (``PUT /_sim/clock``), and faults of network and provider (``POST /_sim/faults``, see
``sandbox.faults``). ``--seed`` makes random values reproducible.

Deliberate differences from the providers:

- A webhook URL may be ``http`` and may be on localhost; the real Conekta refuses both.
- Conekta supports cash orders only, has no customers and no refunds, and emits only ``charge.paid``, ``order.paid``,
  ``order.expired`` and ``order.canceled``.
- STP's operating day follows the rules of the bank holidays, without days that the CNBV moves.
- STP does not refuse an order for lack of funds.
"""
