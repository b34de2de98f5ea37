"""Fetches the ONNX Runtime library into runtime/lib/, pinned and checked by digest (`just setup`).

The Python package is only how the library is delivered: pip downloads the wheel that
requirements.txt names and refuses another digest, and the one library is taken out of it. Nothing
is installed into any Python. Done already: says so and ends at once.
"""

import pathlib
import platform
import re
import subprocess
import sys
import tempfile
import zipfile

HERE = pathlib.Path(__file__).resolve().parent
PINS = HERE / "requirements.txt"
LIB = HERE / "lib"
# Of the three wheels that are pinned, the tag of this machine's.
PLATFORMS = {
    ("Linux", "x86_64"): "manylinux_2_28_x86_64",
    ("Linux", "aarch64"): "manylinux_2_28_aarch64",
    ("Darwin", "arm64"): "macosx_14_0_arm64",
}


def main() -> int:
    pins = PINS.read_text()
    version = re.search(r"onnxruntime==(\S+)", pins).group(1)
    stamp = LIB / "requirements.txt"
    if stamp.is_file() and stamp.read_text() == pins:
        print(f"ONNX Runtime {version} is in {LIB}", file=sys.stderr)
        return 0
    machine = (platform.system(), platform.machine())
    if machine not in PLATFORMS:
        print(f"no wheel is pinned for {machine}: put a libonnxruntime of version 1.24 or newer into {LIB}, "
              "or set ORT_DYLIB_PATH to it", file=sys.stderr)
        return 69
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:", "--require-hashes",
                   "--implementation", "cp", "--python-version", "3.12", "--abi", "cp312",
                   "--platform", PLATFORMS[machine], "--dest", folder, "--requirement", str(PINS)]
        if subprocess.run(command).returncode != 0:
            print("pip could not download the wheel (see above)", file=sys.stderr)
            return 69
        wheel = next(pathlib.Path(folder).glob("*.whl"))
        LIB.mkdir(exist_ok=True)
        with zipfile.ZipFile(wheel) as archive:
            name = next(n for n in archive.namelist() if re.fullmatch(r"onnxruntime/capi/libonnxruntime\.(so|[0-9]).*", n))
            target = LIB / pathlib.Path(name).name
            # Written aside and renamed: an interrupted setup leaves no half library behind.
            aside = target.with_suffix(".partial")
            aside.write_bytes(archive.read(name))
            aside.rename(target)
    stamp.write_text(pins)
    print(f"ONNX Runtime {version} is now in {target}", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
