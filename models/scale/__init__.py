"""More than one process: training, bulk work and replicas on Ray (the extra ``scale``)."""
