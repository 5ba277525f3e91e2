// Quantities as text, both ways.
#include "sim/base/quantity_text.h"

#include <catch2/catch.hpp>

namespace simulate {
namespace {

double Value(const char* text, Dimension dimension) {
  const ParsedQuantity parsed = ParseQuantity(text, dimension);
  INFO(text);
  REQUIRE(parsed.error == QuantityError::kNone);
  return parsed.value;
}

QuantityError ErrorOf(const char* text, Dimension dimension) { return ParseQuantity(text, dimension).error; }

TEST_CASE("decimal and binary sizes differ, bits and bytes too") {
  CHECK(Value("80 GB", Dimension::kSize) == 80e9);
  CHECK(Value("80GiB", Dimension::kSize) == 80.0 * 1073741824.0);
  CHECK(Value("25 MiB", Dimension::kSize) == 26214400.0);
  CHECK(Value("400 Gb/s", Dimension::kBandwidth) == 50e9);
  CHECK(Value("3.35 TB/s", Dimension::kBandwidth) == Approx(3.35e12));
  CHECK(Value("2.5 us", Dimension::kTime) == Approx(2.5e-6));
  CHECK(Value("2.5 µs", Dimension::kTime) == Approx(2.5e-6));
  CHECK(Value("1.5 h", Dimension::kTime) == 5400.0);
  CHECK(Value("989 TFLOPS", Dimension::kFlopRate) == Approx(989e12));
  CHECK(Value("1979 TOPS", Dimension::kFlopRate) == Approx(1979e12));
  CHECK(Value("1.83 GHz", Dimension::kFrequency) == Approx(1.83e9));
  CHECK(Value("98.32 $/h", Dimension::kPrice) == 98.32);
  CHECK(Value("1e3 W", Dimension::kPower) == 1000.0);
  CHECK(Value("0", Dimension::kSize) == 0.0);  // nothing is nothing in every unit
}

TEST_CASE("what is no quantity is told apart") {
  CHECK(ErrorOf("80", Dimension::kSize) == QuantityError::kMissingUnit);
  CHECK(ErrorOf("80 gb", Dimension::kSize) == QuantityError::kUnknownUnit);
  CHECK(ErrorOf("80 GB/s", Dimension::kSize) == QuantityError::kWrongDimension);
  CHECK(ParseQuantity("80 GB/s", Dimension::kSize).found == Dimension::kBandwidth);
  CHECK(ErrorOf("-1 us", Dimension::kTime) == QuantityError::kNegative);
  CHECK(ErrorOf("fast", Dimension::kBandwidth) == QuantityError::kNotANumber);
  CHECK(ErrorOf("", Dimension::kBandwidth) == QuantityError::kNotANumber);
  CHECK(ErrorOf("010 us", Dimension::kTime) == QuantityError::kNotANumber);
  CHECK(ErrorOf("inf GB", Dimension::kSize) == QuantityError::kNotANumber);
  CHECK(ErrorOf("1e400 GB", Dimension::kSize) == QuantityError::kOutOfRange);
  CHECK(ErrorOf("10000 TB", Dimension::kSize) == QuantityError::kOutOfRange);  // beyond 2^53 bytes
}

TEST_CASE("numbers are decimal and complete") {
  double out = 0.0;
  CHECK((ParseNumber("-1.5e3", &out) && out == -1500.0));
  CHECK((ParseNumber("0.5", &out) && out == 0.5));
  CHECK((ParseNumber("0", &out) && out == 0.0));
  for (const char* bad : {"", "-", ".5", "5.", "1e", "0x10", "010", "1_000", "nan", "inf", "1 ", "1,5"}) {
    INFO(bad);
    CHECK_FALSE(ParseNumber(bad, &out));
  }
}

TEST_CASE("values are shown with three significant digits and the unit that suits") {
  CHECK(Format(Bytes(79'300'000'000)) == "79.3 GB");
  CHECK(Format(Bytes(0)) == "0 B");
  CHECK(Format(Bytes(999'999)) == "1.00 MB");  // not 1000 kB
  CHECK(FormatBinary(Bytes(25 << 20)) == "25 MiB");
  CHECK(FormatBinary(Bytes(1500)) == "1.46 KiB");
  CHECK(Format(BytesPerSecond(3.35e12)) == "3.35 TB/s");
  CHECK(Format(Seconds(25e-6)) == "25.0 us");
  CHECK(Format(Seconds(123.4)) == "123 s");
  CHECK(Format(FlopsPerSecond(989e12)) == "989 TFLOPS");
}

TEST_CASE("every unit is accepted where the examples of its dimension are") {
  for (const Dimension d : {Dimension::kSize, Dimension::kBandwidth, Dimension::kTime, Dimension::kFlopRate,
                            Dimension::kFrequency, Dimension::kPower, Dimension::kPrice}) {
    CHECK(Value(Example(d), d) > 0.0);
    for (const std::string& unit : Units(d)) CHECK(Value(("2 " + unit).c_str(), d) > 0.0);
  }
}

}  // namespace
}  // namespace simulate
