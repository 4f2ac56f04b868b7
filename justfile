# Everyday commands; `just` lists them.

_default:
    @just --list

# What CI runs
ci:
    bash .ci/run

# Simulate, train, evaluate and draw, in a few minutes
demo *ARGS:
    cargo run --release --bin nephos -- demo {{ARGS}}

# All tests
test *ARGS:
    cargo test --release {{ARGS}}

# The tests of the network as Burn modules, and of the baselines
test-burn *ARGS:
    cargo test --release -p nephos-burn {{ARGS}}

# The Python wheel in this environment, and its tests
test-python *ARGS:
    pip install . --requirement crates/nephos-python/tests/requirements.txt
    pytest crates/nephos-python/tests {{ARGS}}

# Format and lint
lint:
    cargo fmt --all
    cargo clippy --release --all-targets -- --deny warnings
    cargo clippy --release -p nephos-burn --all-targets -- --deny warnings

# The documentation, opened in a browser
doc:
    cargo doc --release --workspace --no-deps --open

# Licences and advisories of all dependencies (needs cargo-deny)
deny:
    cargo deny check

# Write the golden tensors and files anew (needs Python with torch, NumPy and safetensors)
golden PYTHON="python3":
    find crates/nephos/tests/parity -name generate.py -exec {{PYTHON}} {} \;

# Fuzz one target for a minute (needs cargo-fuzz and a nightly toolchain)
fuzz TARGET="pickle":
    cd fuzz && cargo +nightly fuzz run {{TARGET}} -- -max_total_time=60
