"""Counts words: of a text file when one is named, else of a few lines.

millstream run examples/word_count.py [FILE]
"""

import sys

from millstream.datastream import StreamExecutionEnvironment

TEXT = ["to be or not to be", "that is the question"]

env = StreamExecutionEnvironment.get_execution_environment()
lines = env.read_text(sys.argv[1]) if len(sys.argv) > 1 else env.from_collection(TEXT)
(lines.flat_map(lambda line: [(word, 1) for word in line.lower().split()]).key_by(lambda pair: pair[0]).sum(1).print())
env.execute("word count")
