/* A pump that holds a level: flow = gain * (wanted - level), never negative. FMI 2.0 for co-simulation. */
#define NAME "pump"
#define VARIABLES 4
enum { GAIN, WANTED, LEVEL, FLOW };
static const double defaults[VARIABLES] = {0.5, 2.0, 0.0, 0.0};
static void advance(double *v, double dt) {
    double flow = v[GAIN] * (v[WANTED] - v[LEVEL]);
    (void)dt;
    v[FLOW] = flow > 0.0 ? flow : 0.0;
}
#include "fmi2.h"
