/* Words for the numbers of guest/abi: what the tables and JSON of every host program say.
 * Never NULL; a number outside of its enumeration is "?". */
#pragma once

const char *name_table(unsigned table);
const char *name_cell_kind(unsigned kind);
const char *name_cell_state(unsigned state);
const char *name_access(unsigned access);
const char *name_section_kind(unsigned kind);
const char *name_relocation(unsigned type);
const char *name_task_state(unsigned state);
const char *name_task_end(unsigned reason); /* why it is to end; "" if it is not */
const char *name_fault_kind(unsigned kind);
const char *name_exception(unsigned vector);
const char *name_fault_action(unsigned action);
const char *name_fault_outcome(unsigned outcome);
const char *name_fault_step(unsigned step);
const char *name_event_kind(unsigned kind);
const char *name_counter(unsigned counter);
const char *name_plan_section_treatment(unsigned treatment);
const char *name_plan_quiescence(unsigned reason);
