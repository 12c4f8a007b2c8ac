"""Messages that the services set aside: found in their topics, shown without what nobody needs to see."""
