"""Reads metrics from standard input as OpenMetrics, and prints the sum of each kind of sample."""

import collections
import json
import sys

from prometheus_client.openmetrics.parser import text_string_to_metric_families

sums = collections.Counter()
for family in text_string_to_metric_families(sys.stdin.read()):
    for sample in family.samples:
        sums[sample.name] += sample.value
print(json.dumps(sums))
