/* FMI 2.0 for a co-simulation slave with real variables alone, written for these tests. */
#include <stdlib.h>
#include <string.h>
typedef struct { double values[VARIABLES]; } Instance;
enum { OK = 0, ERROR = 3 };

const char *fmi2GetTypesPlatform(void) { return "default"; }
const char *fmi2GetVersion(void) { return "2.0"; }

void *fmi2Instantiate(const char *name, int type, const char *guid, const char *resources, const void *callbacks,
                      int visible, int logging) {
    Instance *made;
    (void)name, (void)type, (void)resources, (void)callbacks, (void)visible, (void)logging;
    if (strcmp(guid, "{" NAME "}") != 0) return NULL;
    made = calloc(1, sizeof *made);
    if (made) memcpy(made->values, defaults, sizeof defaults);
    return made;
}

void fmi2FreeInstance(void *c) { free(c); }
int fmi2SetupExperiment(void *c, int tolerant, double tolerance, double start, int stops, double stop) {
    (void)c, (void)tolerant, (void)tolerance, (void)start, (void)stops, (void)stop;
    return OK;
}
int fmi2EnterInitializationMode(void *c) { (void)c; return OK; }
int fmi2ExitInitializationMode(void *c) { (void)c; return OK; }
int fmi2Terminate(void *c) { (void)c; return OK; }
int fmi2Reset(void *c) { memcpy(((Instance *)c)->values, defaults, sizeof defaults); return OK; }

int fmi2GetReal(void *c, const unsigned *which, size_t count, double *out) {
    for (size_t i = 0; i < count; i++) {
        if (which[i] >= VARIABLES) return ERROR;
        out[i] = ((Instance *)c)->values[which[i]];
    }
    return OK;
}
int fmi2SetReal(void *c, const unsigned *which, size_t count, const double *in) {
    for (size_t i = 0; i < count; i++) {
        if (which[i] >= VARIABLES) return ERROR;
        ((Instance *)c)->values[which[i]] = in[i];
    }
    return OK;
}
int fmi2DoStep(void *c, double now, double step, int final) {
    (void)now, (void)final;
    if (step <= 0.0) return ERROR;
    advance(((Instance *)c)->values, step);
    return OK;
}

/* What these models do not offer. */
#define NOT_OFFERED(name) int fmi2##name(void) { return ERROR; }
NOT_OFFERED(SetDebugLogging)
NOT_OFFERED(GetInteger)
NOT_OFFERED(GetBoolean)
NOT_OFFERED(GetString)
NOT_OFFERED(SetInteger)
NOT_OFFERED(SetBoolean)
NOT_OFFERED(SetString)
NOT_OFFERED(GetFMUstate)
NOT_OFFERED(SetFMUstate)
NOT_OFFERED(FreeFMUstate)
NOT_OFFERED(SerializedFMUstateSize)
NOT_OFFERED(SerializeFMUstate)
NOT_OFFERED(DeSerializeFMUstate)
NOT_OFFERED(GetDirectionalDerivative)
NOT_OFFERED(SetRealInputDerivatives)
NOT_OFFERED(GetRealOutputDerivatives)
NOT_OFFERED(CancelStep)
NOT_OFFERED(GetStatus)
NOT_OFFERED(GetRealStatus)
NOT_OFFERED(GetIntegerStatus)
NOT_OFFERED(GetBooleanStatus)
NOT_OFFERED(GetStringStatus)
