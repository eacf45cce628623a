"""The attributes that the archive knows by name: one table, read by Store and by Search alike.

A line says at which level of the information model an attribute lives, which column of the index
holds its normalised value, and whether a search returns it unasked (PS3.18 10.6.3.3): `returned`
always, without a value if there is none, or `if-known`. Attributes that are not in the table belong
to the instance.
"""

from dataclasses import dataclass
from enum import StrEnum


class Level(StrEnum):
    """Levels of the Study Root information model; the patient's attributes go with the study."""

    STUDY = "study"
    SERIES = "series"
    INSTANCE = "instance"


@dataclass(frozen=True, slots=True)
class Attribute:
    """One attribute: tag as 8 upper-case hex digits, keyword and VR as in PS3.6."""

    tag: str
    keyword: str
    vr: str
    level: Level
    column: str | None = None
    """The column with its normalised value, if it can be matched."""
    returned: bool = False
    """Whether a search of its level returns it unasked."""
    if_known: bool = False
    """Whether it is left out of a result when it has no value, instead of returned empty."""
    computed: bool = False
    """Whether the archive makes its value, and does not take it from an instance."""


_PATIENT_AND_STUDY = """
00080020 StudyDate                        DA study_date               returned
00080030 StudyTime                        TM study_time               returned
00080050 AccessionNumber                  SH accession_number         returned
00080056 InstanceAvailability             CS -                        if-known computed
00080061 ModalitiesInStudy                CS modalities               if-known computed
00080062 SOPClassesInStudy                UI sop_classes              -        computed
00080090 ReferringPhysicianName           PN referring_physician_name returned
00080201 TimezoneOffsetFromUTC            SH -                        if-known
00081030 StudyDescription                 LO study_description        if-known
00081190 RetrieveURL                      UR -                        if-known computed
00100010 PatientName                      PN patient_name             returned
00100020 PatientID                        LO patient_id               returned
00100021 IssuerOfPatientID                LO issuer_of_patient_id
00100030 PatientBirthDate                 DA patient_birth_date       returned
00100040 PatientSex                       CS patient_sex              returned
0020000D StudyInstanceUID                 UI study_instance_uid       returned
00200010 StudyID                          SH study_id                 returned
00201206 NumberOfStudyRelatedSeries       IS number_of_series          returned computed
00201208 NumberOfStudyRelatedInstances    IS number_of_instances       returned computed
00080051 IssuerOfAccessionNumberSequence  SQ -
00081032 ProcedureCodeSequence            SQ -
00081048 PhysiciansOfRecord               PN -
00081060 NameOfPhysiciansReadingStudy     PN -
00081080 AdmittingDiagnosesDescription    LO -
00081110 ReferencedStudySequence          SQ -
00100024 IssuerOfPatientIDQualifiersSequence SQ -
00100032 PatientBirthTime                 TM -
00101000 OtherPatientIDs                  LO -
00101001 OtherPatientNames                PN -
00101002 OtherPatientIDsSequence          SQ -
00101010 PatientAge                       AS -
00101020 PatientSize                      DS -
00101030 PatientWeight                    DS -
00102160 EthnicGroup                      SH -
00102180 Occupation                       SH -
001021B0 AdditionalPatientHistory         LT -
00104000 PatientComments                  LT -
00120062 PatientIdentityRemoved           CS -
00120063 DeidentificationMethod           LO -
00324000 StudyComments                    LT -
00380010 AdmissionID                      LO -
"""

_SERIES = """
00080060 Modality                         CS modality                 returned
0008103E SeriesDescription                LO series_description       if-known
0020000E SeriesInstanceUID                UI series_instance_uid      returned
00200011 SeriesNumber                     IS series_number            returned
00201209 NumberOfSeriesRelatedInstances   IS number_of_instances       returned computed
00400244 PerformedProcedureStepStartDate  DA performed_procedure_step_start_date if-known
00400245 PerformedProcedureStepStartTime  TM performed_procedure_step_start_time if-known
00400275 RequestAttributesSequence        SQ request_attributes       if-known
00180015 BodyPartExamined                 CS body_part_examined
00080021 SeriesDate                       DA -
00080031 SeriesTime                       TM -
00080070 Manufacturer                     LO -
00080080 InstitutionName                  LO institution_name
00080081 InstitutionAddress               ST -
00081010 StationName                      SH -
0008103F SeriesDescriptionCodeSequence    SQ -
00081040 InstitutionalDepartmentName      LO -
00081050 PerformingPhysicianName          PN -
00081070 OperatorsName                    PN -
00081090 ManufacturerModelName            LO -
00081111 ReferencedPerformedProcedureStepSequence SQ -
00181000 DeviceSerialNumber               LO -
00181020 SoftwareVersions                 LO -
00181030 ProtocolName                     LO -
00185100 PatientPosition                  CS -
00200052 FrameOfReferenceUID              UI -
00200060 Laterality                       CS -
00400250 PerformedProcedureStepEndDate    DA -
00400251 PerformedProcedureStepEndTime    TM -
00400253 PerformedProcedureStepID         SH -
00400254 PerformedProcedureStepDescription LO -
"""

_INSTANCE = """
00080016 SOPClassUID                      UI sop_class_uid            returned
00080018 SOPInstanceUID                   UI sop_instance_uid         returned
00083002 AvailableTransferSyntaxUID       UI transfer_syntax_uid      if-known computed
00200013 InstanceNumber                   IS instance_number          returned
00280008 NumberOfFrames                   IS -                        if-known
00280010 Rows                             US rows                     if-known
00280011 Columns                          US columns                  if-known
00280100 BitsAllocated                    US bits_allocated           if-known
"""

REQUEST_ATTRIBUTES = {
    "00400009": "ScheduledProcedureStepID",
    "00401001": "RequestedProcedureID",
}
"""The attributes inside Request Attributes Sequence that can be matched (PS3.18 10.6.1.2.3)."""


def _read(table: str, level: Level) -> list[Attribute]:
    attributes = []
    for line in table.strip().splitlines():
        tag, keyword, vr, column, *marks = line.split()
        attributes.append(
            Attribute(
                tag,
                keyword,
                vr,
                level,
                None if column == "-" else column,
                returned="returned" in marks or "if-known" in marks,
                if_known="if-known" in marks,
                computed="computed" in marks,
            )
        )
    return attributes


ATTRIBUTES: dict[str, Attribute] = {
    attribute.tag: attribute
    for table, level in (
        (_PATIENT_AND_STUDY, Level.STUDY),
        (_SERIES, Level.SERIES),
        (_INSTANCE, Level.INSTANCE),
    )
    for attribute in _read(table, level)
}
"""Every attribute of the table by its tag."""


def level_of(tag: str) -> Level:
    """The level at which the archive keeps the attribute with this tag."""
    attribute = ATTRIBUTES.get(tag)
    return attribute.level if attribute else Level.INSTANCE
