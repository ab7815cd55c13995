"""Submits the job of a race to a Flink cluster, and prints its id: ``python flink_job.py HOST PORT OUTPUT SETTINGS``.

Run with the Python of an environment that has apache-flink. No Python runs in the job: rows are made, counted and
written by Flink's own operators. ``SETTINGS`` is JSON, of the job.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from pyflink.common import Configuration
from pyflink.common.serialization import Encoder
from pyflink.datastream import StreamExecutionEnvironment
from pyflink.datastream.connectors.file_system import FileSink, RollingPolicy
from pyflink.java_gateway import get_gateway
from pyflink.table import StreamTableEnvironment

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from race.job import NUMBERS, RUNNING


def main() -> None:
    host, port, output, settings = sys.argv[1], int(sys.argv[2]), Path(sys.argv[3]), json.loads(sys.argv[4])
    configuration = Configuration()
    for key, value in settings.items():
        configuration.set_string(key, value)
    gateway = get_gateway()
    remote = gateway.jvm.org.apache.flink.streaming.api.environment.StreamExecutionEnvironment.createRemoteEnvironment(
        host, port, configuration._j_configuration, gateway.new_array(gateway.jvm.String, 0)
    )
    environment = StreamExecutionEnvironment(remote)
    tables = StreamTableEnvironment.create(environment)
    tables.execute_sql(NUMBERS)
    rows = tables.to_data_stream(tables.sql_query(RUNNING))
    sink = FileSink.for_row_format(output.as_uri(), Encoder.simple_string_encoder())
    rows.sink_to(sink.with_rolling_policy(RollingPolicy.on_checkpoint_rolling_policy()).build())
    print(environment.execute_async("race").get_job_id())


if __name__ == "__main__":
    main()
