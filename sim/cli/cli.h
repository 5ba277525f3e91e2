// cli/ - the command line: which commands there are, terminals, files, where data is looked for.
//
// Results go to standard output and nothing else does; diagnostics and progress go to standard error. Exit codes are
// those of study/command.h. A reader that closes the pipe ends the program quietly.
#pragma once

namespace simulate {

// The whole program but main().
[[nodiscard]] int RunCommandLine(int argc, char** argv);

}  // namespace simulate
