/* A tank: d level / dt = (inflow - drain * level) / area, by explicit Euler in each step. FMI 2.0 for co-simulation. */
#define NAME "tank"
#define VARIABLES 4
enum { AREA, DRAIN, INFLOW, LEVEL };
static const double defaults[VARIABLES] = {1.0, 0.1, 0.0, 0.0};
static void advance(double *v, double dt) { v[LEVEL] += dt * (v[INFLOW] - v[DRAIN] * v[LEVEL]) / v[AREA]; }
#include "fmi2.h"
