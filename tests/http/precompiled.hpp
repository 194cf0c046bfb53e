#pragma once

// What most tests of this folder include anyway, parsed once. Files still include what they use.

#include "http/precompiled.hpp"

#include <catch2/catch.hpp>
