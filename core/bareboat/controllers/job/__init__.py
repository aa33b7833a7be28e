"""Job: pods that run to completion.

``indexes`` reads and writes sets of indexes, ``outcome`` says what a pod's end means, ``policies`` what the job's policies make of
it, ``backoff`` when the next try is due, ``picture`` puts together what is true of a job now, ``template`` makes its pods,
``tracking`` counts ended pods exactly once, ``controller`` decides. ``ttl`` deletes finished jobs.
"""
