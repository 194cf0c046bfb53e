#pragma once

// What most tests of this folder include anyway, parsed once. Files still include what they use.

#include "machine.hpp"

#include <catch2/catch.hpp>
