"""Units and the semantic types that use them.

A `+` marks what version 2 of the language does not have; the QuantitativeTypes extension of versions 3 and 4 has all.
"""

from __future__ import annotations

_UNITS = """
AccelerationUnit metrePerSecondSquared centimetrePerSecondSquared gForce
AngleUnit radian degreeOfArc minuteOfArc secondOfArc turn
AngularAccelerationUnit radianPerSecondSquared
AngularVelocityUnit radianPerSecond degreePerSecond revolutionPerSecond revolutionPerMinute
ApparentEnergyUnit+ voltAmpereHour+ kilovoltAmpereHour+ megavoltAmpereHour+ gigavoltAmpereHour+
ApparentPowerUnit+ voltAmpere+ millivoltAmpere+ kilovoltAmpere+ megavoltAmpere+ gigavoltAmpere+
AreaUnit squareMetre squareCentimetre squareMillimetre squareKilometre hectare squareFoot squareInch acre
CapacitanceUnit farad millifarad microfarad nanofarad picofarad
ChargeUnit coulomb ampereHour+ milliampereHour+
CurrentUnit ampere microampere milliampere kiloampere+
DataRateUnit bitPerSecond kibibitPerSecond mebibitPerSecond gibibitPerSecond tebibitPerSecond exbibitPerSecond
  zebibitPerSecond yobibitPerSecond bytePerSecond kibibytePerSecond mebibytePerSecond gibibytePerSecond
  tebibytePerSecond exbibytePerSecond zebibytePerSecond yobibytePerSecond
DataSizeUnit bit kibibit mebibit gibibit tebibit exbibit zebibit yobibit byte kibibyte mebibyte gibibyte tebibyte
  exbibyte zebibyte yobibyte
DensityUnit kilogramPerCubicMetre gramPerCubicMetre milligramPerCubicMetre+ microgramPerCubicMetre+
EnergyUnit joule kilojoule megajoule gigajoule electronvolt megaelectronvolt wattHour+ milliwattHour+ kilowattHour
  megawattHour+ gigawattHour+ terawattHour+ britishThermalUnit+ kiloBritishThermalUnit+
ForceUnit newton pound ounce ton
FrequencyUnit hertz millihertz+ kilohertz megahertz gigahertz
IlluminanceUnit lux footcandle
InductanceUnit henry millihenry microhenry
IonizingRadiationDoseUnit+ gray+ milligray+ microgray+ sievert+ millisievert+ microsievert+
IrradianceUnit+ wattPerSquareMetre+
LengthUnit metre centimetre millimetre micrometre nanometre kilometre foot inch mile nauticalMile astronomicalUnit
LuminanceUnit candelaPerSquareMetre
LuminousFluxUnit lumen
LuminousIntensityUnit candela
MagneticFluxUnit weber maxwell
MagneticInductionUnit tesla gauss+
MassUnit kilogram gram milligram microgram tonne slug massPound+
MassFlowRateUnit gramPerSecond kilogramPerSecond gramPerHour kilogramPerHour massPoundPerHour+
PowerUnit watt microwatt milliwatt kilowatt megawatt gigawatt horsepower joulePerSecond+ kilojoulePerSecond+
  joulePerHour+ kilojoulePerHour+ megajoulePerHour+ gigajoulePerHour+ britishThermalUnitPerHour+
  kiloBritishThermalUnitPerHour+ kilowattHourPerYear tonOfRefrigeration+
PressureUnit pascal decapascal+ hectopascal+ kilopascal bar millibar millimetresOfMercury poundPerSquareInch
  inchesOfMercury inchesOfWater
RadioactivityUnit+ becquerel+ kilobecquerel+ megabecquerel+ gigabecquerel+
ReactiveEnergyUnit+ voltAmpereReactiveHour+ kilovoltAmpereReactiveHour+ megavoltAmpereReactiveHour+
  gigavoltAmpereReactiveHour+
ReactivePowerUnit+ voltAmpereReactive+ millivoltAmpereReactive+ kilovoltAmpereReactive+ megavoltAmpereReactive+
  gigavoltAmpereReactive+
ResistanceUnit ohm milliohm kiloohm megaohm
SoundPressureUnit decibel bel
TemperatureUnit kelvin degreeCelsius degreeFahrenheit
TimeUnit second millisecond microsecond nanosecond minute hour day year
TorqueUnit newtonMetre
Unitless unity percent partsPerMillion+ partsPerBillion+ partsPerTrillion+ partsPerQuadrillion+
VelocityUnit metrePerSecond centimetrePerSecond kilometrePerSecond metrePerHour kilometrePerHour milePerHour
  milePerSecond knot
VoltageUnit volt millivolt microvolt kilovolt megavolt
VolumeUnit cubicMetre cubicCentimetre litre millilitre cubicFoot cubicInch fluidOunce gallon
VolumeFlowRateUnit litrePerSecond millilitrePerSecond litrePerMinute+ millilitrePerMinute+ litrePerHour
  millilitrePerHour gallonPerMinute+ gallonPerHour+ cubicFootPerMinute+ cubicMetrePerHour+ cubicMetrePerMinute+
  cubicMetrePerSecond+
"""

_TYPES = """
Acceleration=AccelerationUnit Angle=AngleUnit AngularAcceleration=AngularAccelerationUnit
AngularVelocity=AngularVelocityUnit ApparentEnergy+=ApparentEnergyUnit ApparentPower+=ApparentPowerUnit Area=AreaUnit
Capacitance=CapacitanceUnit Concentration+=Unitless Current=CurrentUnit DataRate=DataRateUnit DataSize=DataSizeUnit
Density=DensityUnit Distance=LengthUnit ElectricCharge=ChargeUnit Energy=EnergyUnit EnergyRate+=PowerUnit
Force=ForceUnit Frequency=FrequencyUnit Humidity=DensityUnit Illuminance=IlluminanceUnit Inductance=InductanceUnit
IonizingRadiationDose+=IonizingRadiationDoseUnit Irradiance+=IrradianceUnit Latitude=AngleUnit Longitude=AngleUnit
Length=LengthUnit Luminance=LuminanceUnit Luminosity=PowerUnit LuminousFlux=LuminousFluxUnit
LuminousIntensity=LuminousIntensityUnit MagneticFlux=MagneticFluxUnit MagneticInduction=MagneticInductionUnit
Mass=MassUnit MassFlowRate=MassFlowRateUnit Power=PowerUnit Pressure=PressureUnit Radioactivity+=RadioactivityUnit
ReactiveEnergy+=ReactiveEnergyUnit ReactivePower+=ReactivePowerUnit RelativeDensity+=Unitless RelativeHumidity=Unitless
Resistance=ResistanceUnit SoundPressure=SoundPressureUnit Temperature=TemperatureUnit Thrust=ForceUnit TimeSpan=TimeUnit
Torque=TorqueUnit Velocity=VelocityUnit Voltage=VoltageUnit Volume=VolumeUnit VolumeFlowRate=VolumeFlowRateUnit
"""

_PREFIXES = """
deci centi milli micro nano pico femto atto zepto yocto deca hecto kilo mega giga tera peta exa zetta yotta
kibi mebi gibi tebi pebi exbi zebi yobi
"""


def prefixes(version: int) -> tuple[list[str], list[str]]:
    """Decimal and binary prefixes. Version 2 writes `deka` for `deca`."""
    decimal, binary = _PREFIXES.strip().splitlines()
    return (decimal if version > 2 else decimal.replace("deca", "deka")).split(), binary.split()


def units(version: int) -> dict[str, tuple[str, ...]]:
    """Unit type -> its units."""
    found: dict[str, tuple[str, ...]] = {}
    for line in _UNITS.strip().replace("\n  ", " ").splitlines():
        kept = [word.rstrip("+") for word in line.split() if version > 2 or not word.endswith("+")]
        if kept:
            found[kept[0]] = tuple(kept[1:])
    return found


def semantic_types(version: int) -> dict[str, str]:
    """Semantic type -> its unit type."""
    pairs = (word.split("=") for word in _TYPES.split())
    return {name.rstrip("+"): unit for name, unit in pairs if version > 2 or not name.endswith("+")}
