// Units: only meaningful arithmetic compiles, and it is right.
#include "sim/base/units.h"

#include <catch2/catch.hpp>

#include <type_traits>

#include "sim/base/check.h"
#include "sim/base/random.h"
#include "sim/base/sim_time.h"

namespace simulate {
namespace {

template <typename A, typename B>
concept Addable = requires(A a, B b) { a + b; };
template <typename A, typename B>
concept Divisible = requires(A a, B b) { a / b; };

TEST_CASE("quantities of different dimensions do not mix") {
  CHECK(Addable<Seconds, Seconds>);
  CHECK_FALSE(Addable<Seconds, Bytes>);
  CHECK_FALSE(Addable<Seconds, double>);
  CHECK_FALSE(Divisible<Flops, BytesPerSecond>);
  CHECK_FALSE(std::is_constructible_v<Bytes, double>);
  CHECK_FALSE(std::is_convertible_v<double, Seconds>);
  CHECK_FALSE(std::is_convertible_v<Seconds, double>);
}

TEST_CASE("rates turn sizes into times") {
  CHECK((Bytes(100) / BytesPerSecond(50.0)).value() == 2.0);
  CHECK((Flops(6.0) / FlopsPerSecond(3.0)).value() == 2.0);
  CHECK(Seconds(6.0) / Seconds(3.0) == 2.0);
  CHECK(Bytes(5) / Bytes(2) == 2.5);
  CHECK(DivCeil(Bytes(10), 4) == Bytes(3));
  CHECK(RoundUp(10, 4) == 12);
  CHECK(GiB(1) == Bytes(1073741824));
}

TEST_CASE("simulated time rounds half up and never loses a positive duration") {
  CHECK(SimTime::FromSeconds(Seconds(1.0)).picoseconds() == 1'000'000'000'000);
  CHECK(SimTime::FromSeconds(Seconds(2.5e-12)).picoseconds() == 3);
  CHECK(SimTime::FromSeconds(Seconds(1e-20)).picoseconds() == 1);
  CHECK(SimTime::FromSeconds(Seconds(0.0)).picoseconds() == 0);
  CHECK_THROWS_AS(SimTime::FromSeconds(Seconds(-1e-12)), InternalError);
  CHECK_THROWS_AS(SimTime::FromSeconds(Seconds(0.0 / 0.0)), InternalError);
  CHECK_THROWS_AS(SimTime::FromSeconds(Seconds(5e6)), TimeOverflow);
  CHECK(SimTime::FromSeconds(Seconds(4.6e6)) + SimTime::FromSeconds(Seconds(4.6e6)) == SimTime(9'200'000'000'000'000'000));
}

TEST_CASE("random numbers are those of splitmix64, one stream per purpose") {
  // Reference values of splitmix64 with seed 0 (Vigna, https://prng.di.unimi.it/splitmix64.c): the state after the first
  // addition is the golden gamma, which is what stream 0 starts from.
  Random zero(0 - 0x9E3779B97F4A7C15ULL);
  CHECK(zero.Next() == 0xE220A8397B1DCDAFULL);
  CHECK(zero.Next() == 0x6E789E6AA1B965F4ULL);
  CHECK(Random(1, 0).Next() != Random(1, 1).Next());
  Random unit(7);
  for (int i = 0; i < 1000; ++i) {
    const double u = unit.Unit();
    CHECK((u >= 0.0 && u < 1.0));
  }
}

TEST_CASE("a failed check says where and why") {
  try {
    SIM_CHECK(1 > 2, "one is not more than ", 2);
    FAIL("not reached");
  } catch (const InternalError& e) {
    const std::string what = e.what();
    CHECK(what.find("units_test.cc") != std::string::npos);
    CHECK(what.find(": check failed: 1 > 2: one is not more than 2") != std::string::npos);
  }
}

}  // namespace
}  // namespace simulate
