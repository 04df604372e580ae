-- The drop copy is read by number for a few accounts out of many.
create index drop_copy_of_account on drop_copy (account, number);
