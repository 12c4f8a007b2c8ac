"""Random histories through a real Kafka, a real PostgreSQL and the three services, compared with `dunning simulate`.

The services read a clock that the test moves by hand, from one instant at which anything happens to the next. Dates in
the past under the real clock would make everything late, and late is another end (rules 23 and 24); days shortened to
seconds would make it a matter of luck what is late. Standing still, the clock lets both ends be the same to the second.
All accounts share one clock, so a few hundred of them cost little more than one: `python -m tests.model.live`.
"""
