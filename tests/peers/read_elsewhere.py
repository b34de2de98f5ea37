"""Reads a run's features with DuckDB, pandas and Hugging Face datasets, as their users would.

    python tests/peers/read_elsewhere.py runs/demo
"""

import glob
import sys

import duckdb
import pandas
from datasets import load_dataset

run = sys.argv[1]
pattern = f"{run}/features/train-*.parquet"

rows, numbers = duckdb.sql(f"select count(*), max(len(feature)) from read_parquet('{pattern}')").fetchall()[0]
print(f"duckdb {duckdb.__version__}: {rows} rows of {numbers} numbers")

frame = pandas.concat(pandas.read_parquet(p) for p in sorted(glob.glob(pattern)))
print(f"pandas {pandas.__version__}: {len(frame)} rows of {len(frame.feature.iloc[0])} numbers, columns {list(frame.columns)}")
assert (rows, numbers) == (len(frame), len(frame.feature.iloc[0]))

data = load_dataset("parquet", data_files=pattern, split="train", cache_dir=f"{run}/.datasets")
print(f"datasets: {data.num_rows} rows, {data.features['feature']}")
assert data.num_rows == rows and list(data[0]["feature"]) == list(frame.feature.iloc[0])
