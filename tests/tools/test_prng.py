# SPDX-License-Identifier: MIT
import subprocess

import pytest
from conftest import TREE
from grading.prng import Prng

PROGRAM = """
#include <prng.h>
#include <stdio.h>
#include <stdlib.h>
int main(int argc, char **argv)
{
	struct prng prng;
	for (int i = 1; i < argc; i++) {
		prng_seed(&prng, strtoull(argv[i], NULL, 10));
		for (int n = 0; n < 500; n++)
			printf("%llu\\n", (unsigned long long)prng_next(&prng));
		for (unsigned long bound = 1; bound < 500; bound++)
			printf("%llu\\n", (unsigned long long)prng_below(&prng, bound));
	}
	return 0;
}
"""

SEEDS = [0, 1, 7, 2**63 - 1, 2**64 - 1]


@pytest.fixture(scope="module")
def numbers_in_c(tmp_path_factory: pytest.TempPathFactory) -> list[int]:
    directory = tmp_path_factory.mktemp("prng")
    source = directory / "prng.c"
    source.write_text(PROGRAM)
    program = directory / "prng"
    subprocess.run(["gcc", "-I", TREE / "include", "-o", program, source], check=True)
    output = subprocess.run(
        [program, *map(str, SEEDS)], check=True, capture_output=True, text=True
    ).stdout
    return [int(line) for line in output.split()]


def test_same_numbers_as_the_kernel(numbers_in_c: list[int]) -> None:
    numbers = []
    for seed in SEEDS:
        prng = Prng(seed)
        numbers += [prng.next() for _ in range(500)]
        numbers += [prng.below(bound) for bound in range(1, 500)]
    assert numbers == numbers_in_c
