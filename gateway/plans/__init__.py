"""Plans: the selections of a valid operation compiled to Python, so that no field is executed one by one.

`execution.py` calls the roots' resolvers; graphql-core executes whatever a plan doesn't understand. What a plan renders
is a value that was resolved already; where that value is not just as the schema promises, the plan gives it up, and
graphql-core completes it and tells what is wrong. So a plan has to be right about good values only, and never speaks of
errors.
"""
