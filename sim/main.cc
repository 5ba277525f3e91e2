#include "sim/cli/cli.h"

int main(int argc, char** argv) { return simulate::RunCommandLine(argc, argv); }
