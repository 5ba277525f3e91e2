#include "sim/study/simulate.h"

int main() { return 0; }
