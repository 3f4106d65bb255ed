/**
 * The generated model's vocabulary beyond the 256 bytes, in merge order: the result of byte-pair encoding over open-source
 * TypeScript and English documentation (pre-tokens that occur in at least four packages). Written in GPT-2's printable
 * bytes (`Ġ` is a space, `Ċ` a line feed, `ĉ` a tab). TypeScript takes about 3 characters a token, prose 2.5.
 *
 * Each entry is what the entries before it encode as exactly two tokens, so the merge rules follow from the list.
 */
export const mergedTokens: readonly string[] = String.raw`
ĠĠ in re ĠĠĠĠ on er Ġ= Ġt st Ġa or Ġ{ en at Ġi de Ġc se le Ġ* Ġ( ); al Ġ} ĊĠ ion ar Ġ" Ġf ct it ro es // Ġo ing Ġp Ġb
Ġn Ċĉ an Ġre Ġ' un ex Ġs he ĠĠĠ Ġw ĠĠĠĠĠĠĠĠ ed ur Ġin Ġto Ġm am Ġif pt is pe ent co ul Ġ| ch th lo ue ort ", ut Ġ[ Ġst
ce il as Ġis ": ge li Ġth port Ġv Ġof Ġ*/ () Ġ- Ġan Ġcon ri ad ype ', um ction Ġ// urn ĊĠĠĠĠ turn ode /* js ption ck
(' ring Ġ@ Ġbe ect ĊĠĠĠĠĠĠĠĠ con Ġd ter Ġ=> Ġe Ġde Ċĉĉ im Ġ0 Ġex ra ht ĠT ith unction :// ## ĊĠĠĠ Ġthe ject ot if com
Ġ& us ke ate id Ġ1 ult ly ame rom ve ig /** ol ror la ile ps Ġ&& om == ĠA Ġas ath bject ers ts Ġ+ od ') ]( htt Ġh end
ab ptions fa Ġor Ġon res Ġpro qu alue Ġne Ġreturn Ġse .. use atch Ġ? ess ?: ap ): ow all ire Ġfor age ic ub ĠS oo lin
https ver and Ġ_ te fin of key Ġ: Ġun ation ĠI ase ack Ġ|| ext up export Ġwh Ġtr )) Ġg ĊĠĠĠĠĠĠĠ ]; ber Ġ! par ĠC Ġ<
ĊĊĠ able eng row Ġconst (); ple Ġfunction Ġand Ġstring Ġar const umber ull Ġthis ore per Ġit Re fault '); '; ). ";
error Ġch alse ĠE Ġr Ġ=== ray 00 ), Ġal Ġres to cri Ġwith ], ren get ĊĠĠ Ġfrom pro var ength ĠP yn ir ind Ġtype };
defin let ._ type ĠO ment so dex Ġnew ty (" for Ġtrue Ġ2 ĊĠĠĠĠĠ length cess ass lean Ġuse ain function ./ Ġli Ġcom Ġ},
Ġfalse el ill ule code quire Ġby Ġpar ign Ġcont Ġthat et Ġnot ĊĊ ise gs Ġy Ġvalue node ctor oolean ithub ĠM github em
string out log ync os put defined ĊĠĠĠĠĠĠĠĠĠĠĠ low rror return uf name pm import pa ou Ġoptions ĠN Ġen ĠĠĠĠĠĠĠ ument
({ ĠRe Ġ() ser Ġ> cript ĠU this Ġ(! si lob fer >; oid Ġso Ġma Ġ!== ersion Ġfile Ġinst ry odule Ġnull Ġcan ild ĠW
Ġrequire romise wa Ġ}; lse Ġelse ample ist ĠThe Ġnumber ĠD ure est ded Ġare Ġext own cl ther ds set Ċĉĉĉ lic index Ġ--
ies tern )); que rent int ive Ġpath form St Ġobject ma ated ime path options ** vent value "); ken rray Ġwill der art
vi ust Ġthrow Ġat op .# ... val Ġ}); Ġdo pes Ġz mit }); gument Ġus param ener npm rit ĠB Ġkey Ġerror Ġundefined test
sion ata ym sed Ġset Ġrun fe pec ### read 's url Ġcall ush Ġ. Ġresult line Ġ$ his Ġ/** red urce che ĠF Ġany Ġvar ues
ail act Ġ"^ Ġme exports Ġvoid Ġread Ġdefault Ġsup Ġim ream Ġboolean perty Ġcode Ġno Ġhe Ġsh uffer Ġ3 Ġval fig Ġyou mo
ymb err ĊĠĠĠĠĠĠĠĠĠĠĠĠĠĠĠ file ep -- ca Ġname Ġwhen Ġwe Ġl uld cla pl ould ance Ġmatch pts pla org Pro Ġlet ach und ix
Ġ/* =" ends ug clare ition min essage Ġout sole push iz ru Ġlo back rc only sh ĠL ary mand ĊĊĠĠĠ ++ ash Ġpre ymbol
wait ne Ġcl [] ange ity thod pre ĠIf des Ġtest Ġchar pres kn Array ial ator }, map ON Ġ4 Ġ__ Ġle ding typeof ackage
ces Ġspec ag irector (( ĠĠĠĠĠĠĠĠĠĠĠ tr Object ĠError ork heck pect In clu po (): 64 one __ pp Ġ/ quest Error bj ĠR
default iv uild Ġ}) attern known Ġtypeof Ġall types ignal Ġlist ak Ġextends Ġprocess Ġcase ich rict String av gn ĠIn
ĠPromise stat ructor Ex Ġsupport Ġnode Ġargument Ġstat Ġget Ġoption */ pos The Ġab ave ght terfa ") object Ġad Ġclass
iel ĠH ec ifi ĠThis lint ĠObject ll args link ĊĠĠĠĠĠĠĠĠĠ led JS git module Ġused Ġmethod util IT terface qual call
ense Ġent Ġhand col Ġwhich tot Ġarray foo Ġ+= ames Ġhttps Ġstart right Ġ"./ cont io ': lice pon Ġpos irectory totype
ĠSt Ġcharact indow ER fs tem olve reate irst ify ]. Ġinstance Ġversion Ġhas Ġonly 't rite version md Ġpa ]) Ċĉĉĉĉ cur
Ġbut Ġid Ġdeclare ]: idth wn ww cription ang gex api number Ġ** app oin (), ome ally ip Ġ... ative json unt }) ant
Ġglob Ġone true process Ġcheck br cli 32 place ĊĊĉ Ġusing SI ize Ġfs Ġcur slice not Ġend Ġexport glob Ġawait Property
fter Ġ[' Ġdis load Ġ[]; ../ returns ord ost Ġindex Ġother ml 10 prototype try match Ġcol ĠG tri sv [" env ĠReturn Ġj
fore Ġdes Ġ5 ks http Ġ<= Ġac Type ting ble Ġfol Ġcatch Ġstrict Ġhave </ arget Ġ{@ Ġconfig Ġtoken ĠNode Ġdata lib
Ġprovi Ġvalues Ġes Ġx oc ](# console Ġwhe arg ĠType Ġtry example PI gnore Ġup dir efault ]); new ][ Ġ"@ our Ġk
Ġconstructor ound Ġinterface obj Ġopts Ġthen Ġca (). Ġrequest Ġsource thing ilter sing boolean Ġmore ger ory 12 Ġinput
package ute ?. enc EN svg tes pace Script Ġtime Ġcontain ([ Ġ>= ody Ġdoes has Ġover alled Ġcallback Ġasync Ġfirst
pression undefined ved false ss Ġgiv Ġshould ay Ġcurrent Ġper ead ert IN reak data last Ġmay source Of Ġstream null
ĠĠĠĠĠ oint "] Ġunknown async lock Ġapp endenc Ġafter fix text uth ous lf oft RE ields img ning Ġthan Ġwork 20 Ġbefore
Ġnext Ġsu Ġhead Ġstate ments indows Ġ?? Ġsrc result Ġwhile Ġoutput char coding rowser no Ġmust ine Ġgener Ġreadonly
lease join Ġmessage ard "> Sync Ġ'./ Ġmode => replace Ġ6 Ġignore Code Ġmodule feren me ĠĠĠĠĠĠĠĠĠĠĠĠĠĠĠ sum Ġadd dis
JSON Ġlength Ġfollow ĠV parse pected Ġnames ified Ġtext Ġwas Ġ# []; alk vel >( ite Ġconsole 25 Path rows Ġimport Ġneed
config endencies ors Ġpattern sec Ġser lose html Ġexp ast define valid Ġeach Ġ10 ĠEx Ġenv Ġargs root Ġgiven start
Ġarguments Ġevent ark ename Ġline ternal Ġexec edi resolve str ĠSet 16 main dev Ġfiles Ġco ĠReturns Ġform hus race
ameter fn File Ġexample \\ command stream message ask move Ġav toString ta Ġcalled Ġimple yle You Ġparse Ġdefin This
from igin next its Ġstr riv Ġinto #### fset Ġfail Ġback '] we write Ġ== ĠAPI Ġ{}; ans Ġsome Ġlike Ġmax Ġalso Ġbreak
Ġcommand ee ide side Ġprovided Ġbase AR orhus reat time Ġcontent ![ ID doc fo Ġthere ++) afe Ġinstead src Ġdirectory
cape opts rivate opy pty wd head Ġlog Ġitem ched ins inue ĠArray bug ses ustom sert ries Ġag unk Ġsame ft ong Ġinclu
equal input Ġcharacters hen ote ze ĠLic add Ġnpm rap icro max Ġ], Ġfla ('./ queue iter Ġproperty ref ten token Ġvalid
star ĠFor Ġoper iron Ġexist plit but OR Ġ{} stem ystem bar defineProperty Ġbuild Ġyour ac pen Ġcontext Ġreturns ree
Ġcomp Ġentry Point emit ĠK lat Ġproper ES description Ġhandl very Ġsub Ġpackage ific Ġallow ish Ġarg array base
Ġexports ok Ġty Ġwithout Ġbytes declare ipe ĠAn loc Ġunder soft list Ġlast (() Ġits bad ose Ġdif pth ages ponse Ġhel
ĠCon Ġreject //=> option gr be ctions Each Ġparent arch license ted ties >, build ference umn script ys www ci state
Ġcharacter ilename indres indresorhus sindresorhus Ġmod Ġuser sup ava ords ful mon ermin Ġreturned )} inding ms reg
anges inclu '], icrosoft ĠMath Own ĠJ ĠIt any uration To stall ironment pub Ġcb Ġimplement require Ġchild Ġloc
Ġspecified ff sues Ġpart RL 01 argument wh by cord Ġformat If wi utils down pattern Ġparameter bin cause cket posit
Ġinstall Ġmin umer Ġexecut Ġpromise //# Ġproject Buffer ignore utf Ġinstanceof lient Ġagain Ġobj '). ailable buf
create Ġcontinue Ġsignal ations size ulti event Ġfn Ġglobal Ġnever filter Ġwrit Ġposition ature Ġnon Ġtarget Ġthey
olic ĠĠĠĠĠĠĠĠĠĠĠĠĠĠĠĠ case ield files see width Ċĉĉĉĉĉ ĠBuffer ew open }. Ġ8 Ġwhere bort ither Ġind dist Ġproperties
[' work ĠDefault az await ual wik TH coded Ġhandle ced conds ĠOptions Ġbody Ġemit Ġpass reated AN TA ha ĊĊĠĠĠĠĠ lash
ular Ġpas Ġ(( Ġorigin cat gram mpty ux Ġreg Ġtypes date har item tail SE Ġopen Ġsupported run Ġerr Ġexpression
avaScript ĠJSON Ġfollowing ()); can Ġbeen Ġkeys Un ifier present Con DE entry style tings ĠString Ġbet lete pository
Ġavailable Ġresol Module medi pose round shields Ġthem Number indexOf ron split Ar badge ner Ġbuffer Ġrange Options
Value cha hel raw MIT core regex Ġwhether Time ence sub ĊĊĠĠĠĠĠĠĠ ĠWe Ġ[] Ġwould Name ansi uthor Ġact Ġsign ince tra
wise ĠSymbol Ġsymbol ension the win Ġdon Ġfound Ġjust Ġpaths 11 close Ġonce At Ġlimit OT mod target Default [],
forEach Ġsize Ġtermin [![ orm signal self ĠTypeError Ġwant ĠPro Ġstrings assert ingle Exp LE ential ĠAN Ġtra qui
ĠWindows ()) ML Ġ(_ parator Ġcreate Ġpassed dd roug ĠLicense Ġbo keys typescript cwd rough Ġstatus anch void Ġbecause
Ġmatching Ġprivate child ets Ġfin docs gExp du lect sp ures Ġ'' Ġprefix Ġresolve With Ġenvironment Symbol Ġexpected
Ġsingle eners wo color ways Ġevery ++; [_ ')); ench lear mode roll ery hand Ġencoding Signal termin .__ lative class
issues Ġdep )). Ġempty GE eslint format parent ĠEn ĠJavaScript 22 Event constructor ines ĠMap Ġdoc buffer iled wit Ġ\
Ġret throw Ġmem cept region Ġassert LI dout safe Ġabort lish ĠURL Ġruns formation MA opyright ĠHT ')) :: Ġblock
Ġerrors lines ultiple nel rip readonly sign Ġ); Ġvi callback ĠUse )]( Node ret Ġtim Bright play Ġinformation Ġlevel
Ġmap Ġorder body stack ween cond Ġbrowser includes licit Ġ9 ST cap npmjs Ġroot Ġoffset TY internal isArray other vis
Ġperform "), Ġlibr Ġself ĠĠĠĠĠĠ ormal Ġbeing promise Ġfilter Ġmake Ġmatches Ġregex OwnProperty cy Ġmethods abort exit
iteral ware Ġwidth abled ending lement Ġ16 ĠSee Ġcustom Ġhere Ġtwo Ġwrite ason image teger ates ress Ġobjects ati
ready AL havi spec Ġpla 24 seconds Ġ] ĠDe argv Ġbetween CH ĠYou ĠTo Ġentries Ġta content itions stringify unknown
Ġcount Ġhandler annel Ġparsed TI ĊĠĠĠĠĠĠĠĠĠĠĠĠĠ Ġeither Ġserver Int esModule Ġbuf Ġbehavi Ġoptional ("./ gment Ġrule
icode Ġmain engines illi nodejs vert Ġu ĠWhen Ġbra Function List iable ight ility sage ĠCom gener itle values Ġke
ĠNumber Ġclient ependencies mediate ĠAbort andard ascript inary ld Ġdone Ġown ">< directory ias umerable Ġ'\ Ġfa 15
errors status ves Ġsystem browser Ġcolor Ġdepth arm proto sync Ġ'/ Ġoriginal bg ĠID sue ĠRead xy Ġ) Ġident Ġrepresent
></ Ġ12 Ġmo Ġstatic Ġtokens (... atform concat engine platform Ġdescription exec repository Ġqu Ġflags Ġstop
Dependencies author chema Ġtimeout exp info interface Ġabout TAG sible chron chronous dest illiseconds linux loads
ynchronous Ġurl Ġcolumn Ġescape Ġlistener Ġoverri Ġway Ġiter Ġparts Ġresults FF are olute solute unc words ĠCheck
Ġcreated Ġfix Ġhow Ġimplementation Ġtests nly prec Ġcomple Ġreport def irect Ġfull avascript redential Ġ% Ġ''; Ġali
Ġalready Ġdocument Ġretry witch ĠRegExp Ġconsum Ġdebug Ġsuch Ġ{}) UT gh ugin Ġ>> Ġinit Ġsee De ccess ick Ġ!=
Ġoperation context strict Ġchunk Ġfunctions Ġgo Ġnow imatch reen Ġsample Ġsim ell essages harb jharb ljharb count
filename level tails ven Ġutil ĠUn Ġsuper An tect ĠEvent Ġneg Map fill igh ower scripts ĠInstall ĠUint Ġextension
Ġmultiple Match disable quence ĠDate ansform less Ġmis (/ range Ġalways ('\ lication symbol tax throws yntax Ġlibrary
Timeout check Ġ!! Ġrequired ook then Ġright ffect ipeline Ġaccess Ġexit Ġspecific pare Ġfast Ġpatterns Case Equal
support Ġ7 Ġkind Ġload vious word Ġheader Ġresponse arguments Ġchain Ġhref Ġthrough '), coder debug publish Ġboth
Ġindic Ġwere mark Ġrunning ating block tain ERR cb Ġ'../ ĠOR ĠUsage actions ilt mast master uilt Ġequal Ġstill arge
comatch fla icomatch ings starts Ġcontaining Ġrequests TP irectories remove request used Ġ20 ĠGet Ġagainst Ġcodes
chunk ended ized ĠCopyright Ġ[], Length itional RI devDependencies plate gress Ġflag Ġmark PU user writ Index Listener
help ji task Ġremove Ġwhat Promise Ġap Ġfield Ġnum Ġremo atched ift Ġleft Ġnamespace AS precated rest Ġ"__ Ġextra
Ġheaders Ġusage Ġvia startsWith war Ġinv Ġrece LO []): derr output ped verage Ġotherwise Return ribut allback roy
Ġcache ODE deep hed imum release Ġmost En atest Ġ}), cmd Ġchange Ġdest Ġmilliseconds Com else trim Ġ[" ĠcodePoint
Ġexplicit Ġissue **: criptor reates su vice }$ Ġescap Ġeslint Ġport escape ions ox Ġqueue Ġbehavior Ġdesc Ġman "). >):
lab tribut Ġtheir Ġwrap blob roller Ġfe Ġthese Ġversions PE andom ens Ġvariable hell javascript Ġlines Example Regex
keywords lashes Ġdefaults Ġstep finity tempt Ġhash Ġstar 13 >= Ġdefined Ġrelative Ġstack Set lay uto Ġ25 Ġparser 19 HE
Ġpl Ġrest Ġsince API edia eta nect optional Ġ({ Ġcannot Ġsk :** flow ike tx Ġnothing Ġpossible dash mary Ġcompati
Ġdirect Ġfind Ġhelp Ġlen Ġlong ants ero Ġ<< Ġconfiguration Ġdisplay Ġgit ]][ asks delete shift host Ġhttp ĠAbortSignal
Ġclose mjs pped roup ĠHTTP Ġdependencies (_ bind quival quivalent sd Ġro ĠMIT Ġprevious Ġsco /*. codePoint wiki ĠGener
Ġitems Ġnest Ġpres Ġregular )), /# ferent latform method offset report stdout ĠZ Ġlink ĠNote Ġplatform Ġsearch Ġshort
Width [, aN mail ws abc chalk ever verb with Ġbinary ensed part ĠFunction Ġver Ġwa 18 change label Ġexists Ġliteral /)
RS point Ġcopy Ġdifferent Ġresolved post some velo Ġ'- Ġ'. Ġfilename Ġgenerated Ġops ckets entries ites like limit
project Ġdoesn Ġopt FileSync PURE names por ured Ġ^ Ġwho Ġ_. Ġbuilt Ġelement For apply cov ĠWhe Ġcould Ġtag 're rol
til Ġspa Ġseparator )( Stream fd mis public Ġanother Ġclean Ġcause Ġmemory ipedia ource wikipedia Ġfoo Ġmeans Ġprogram
ansion bute flat lied pons rule ume ĠPar Ġnormal Ġthrown Ġuses Ġwalk Prop commands do downloads igint Ġevents Ġexce
Ġsafe Ġstore Ġstyle CodeAt branch charCodeAt dep global idd Ġinfo Ġsampled Ġsignature iling Ġcwd Ġinter Ġmak Ġreason
DO UL eded ellow ymbolic ĠMicrosoft Ġallowed Ġcontains Ġmessages See akes assign bility modules ng png Ġeven Ġtask opt
rain urces Ġ[# Ġbelow Ġswitch ather encoding imal Ġdown Ġpub Ġrather Ġstats Par dirname icate travis unks Ġclo
Ġenumerable Ġpoint first full old tag web Ġadded Ġcor Ġcalls Ġcases Ġdetermin Ġparsing ons ĊĊĉĉ Ġdirectories Ġpair
Ġremoved Ch Like Returns alle amed ams ically nection Ġplain Ġwindow ME Token private Ġ">= Ġkeyof gent loat secret
Ġinvalid Ġmapp 17 SIG ater cale lower make mocha oftware Ġspecify Ġuntil AC State bash curity len vid Ġ[_ Ġbinding
Ġdirectly Ġlocation bers chlink chlinkert lue qs Ġ(... Ġargv Ġsetting EC bytes ie off px ĠAdd ĠAl ĠAs ĠCh Ġlead
Ġlisteners Ġsecond ished kg microsoft ove strip toL tokens txt Ġignored Ġprodu ING div ev tt ĠToken ('../ ared cle
origin Ġed Ġitself cent ging ually Ċĉĉĉĉĉĉ ĠStat ĠWh Ġcore Ġdir Ġfields dot ruct Ġequivalent Ġinitial Ġsequence CI
Note anced gmail kind mall ĠIN Ġbr Ġexact Ġrelease Ġreplace headers orpor orporation ph reject tent timeout yload Ġ'[
ĠCorporation ĠTypeScript Ġalt Ġhigh Ġwait Ġ{}, Read comp dm itest ĠWhether Ġabove Ġbound Ġspace Emit We atures cing
pipe rect span ĠLicensed Ġparameters CEN asses clude column curren ical Ġ-> Ġbased Ġnested Ġtitle ". .) bit charact
static ters utom Ġ""; Ġfailure Ġshow Ġsocket Boolean itespace peat Ġ//=> ĠANSI ĠCreates ĠES Ġansi Ġchanges Ġkeep Ġprev
codecov epage hom homepage orage pop ĠDo Ġincluding Ġwithin endregion lodash olicy Ġ'$ Ġ++ Ġ@__ ('- VER cor deprecated
hasOwnProperty ideli idelift ipass Ġ"../ Ġ'-- Ġdetails 14 IS auto exist latest oper ĠExample ']; rome Ġabsolute Ġbrace
Ġoc Ġwritten AD CENSE itive ĠOF Ġcommon Ġsp Ġsem ĠĠĠĠĠĠĠĠĠ ases ler ugins ĠCS ĠDefaults Ġinclude TION older sive stats
upport Ġenable Ġinteger Ġmany ANSI NaN destroy document parser ponsors property ssion tal ĠCreate Ġbranch Ġinside
Ġlook Ġsession Ġspecial Ġuseful .', ASH bra eno py plugin ponent ĠDis Ġpush Ġwhole ;& Id acy coun onate redicate xml
Ġengine Ġautom Ġbyte Ġcredential Ġsettings Ġsupports apt byte entifier ough owerCase toLowerCase ĠOther ĠTest Ġbench
Ġdelete Ġexpand Ġprevent Ġsync ("@ current erge ground invalid parts response ĠUnicode Ġactual Ġexecutable Ġexisting
Ġlogger Ġzero ENT alias pull posed ĠPath Ġreceiv Ġwords "], clar etch gor gorith now ĠAll ĠNo ĠOnly Ġchecks Ġexpect
Ġfailed Ġrecur Ġrules ily inspect roz rozen Ġ"$ Ġ". Ġperformance ])) gb reating untime vry Ġattempt Ġimmediate Ġrandom
Ġruntime empty generator icrom icromatch lack micromatch paths Ġutils ")); ackages alloc catch her init orld parsed
prop utm Ġ[![ Ġenabled Ġescaped Ġlocal Ġsort Ġunless Col anged connect jor ugs Ġ"\ ĠKV Ġpr Ġtotal ([' *. ED OS flags
Ġcontrol Ġgu Ġsegment Ġtake 80 asename vitest Ġmean Ġmodel Ġranges <' >>; ier iterator prev ross update Ġ'') ĠHow
ĠUsed Ġauth Ġencode Ġlic Ġworks <{ cre gments lable tribute Ġencoded Ġleading Ġpri Ġsuccess Glob Ke avid cache ession
sco wrap ĠOption ĠTO Ġ\" Ġdot Ġomit Ġstreams Ġtakes SION eps readable summary Ġraw Ġaction Ġmatched Ġmaximum Ġtem
Ġterminal ferences gnu infer sure umeric undle ĠLI ĠTHE Ġcond Ġdeep Ġlon Ġtri 26 Directory []) comment tributes uring
}" ĠRes Ġ[... Ġallows Ġscript Ġsupp Ġtasks FI HT adding header ĠRecord Ġdecoded Ġgot Ġgenerate ĠsetTimeout (- By
binary coverage common expected lated listeners moji walk Ġautomat Ġcomment Ġprogress Ġretri Ġsomething Ġtoo Argument
IL agent character expect lements server Ġsepar ##### ('. .", >", LASH examples sor verse ĠCH Ġavoid Ġclear Ġdig
Ġfolder Ġinvok Ġnamed Ġ})); Ġ}). All Math Ty ](./ arning based clo encode hex prefix runtime uble ĠX Ġ42 Ġgroup Ġtimes
Ġupdate ('/ Exit client currency hash local over ullable window Ġgenerator Ġoverride Ġthose Arg Des Hub ITY cpp itHub
mar nt plain reference yellow Ġfails Ġhapp Ġprovide Ġwell !-- ")) 99 <!-- binding events free ifest install ization
num onschlinkert readme Ġ(!( ĠNodeJS Ġapplication Ġexplicitly '. ){ MAX bench find patch uple zod Ġer Ġ/^ ĠCLI ĠFile
ĠMin Ġconvert Ġworker []>; clone getOwnProperty ique protocol Ġdescri Ġoff When orn sc xo Ġcorrect Ġdecode Ġindent
Ġleast Ġref Ġskip (__ GEX VERSION loor man template Ġ32 Ġcompatibility Ġdetect Ġimplements Ġmight ĠĠĠĠĠĠĠĠĠĠĠĠ custom
din here mem secretlint standard styles zip Ġ/> ĠIS Ġjoin Ġnative Ġneeded Ġtransform 21 Binding Color MP amp copy
gorithm handle ols supported was ĊĊĠĠĠĠĠĠĠĠĠĠĠ Ġbits Ġless Ġmakes Ġunit /// Hel icorn workflow Ġarr Ġmade Ġreal Ġsn
Ġspawn AX BU OF UN adata asic bab clear esm etadata repeat worker ĠMAX Ġminimatch ."); cessary cycle dependencies
expand lying rs section ton Ġ24 ĠAd Ġactive Ġbeg Ġcommands Ġmatcher Ġnone Ġsection Ġstdout 28 Im break decode extglob
irent isObject ool pass pkg tape }/ }: ĠWork Ġmissing Ġparams Ġwra Ġwhitespace 07 EX EventListener after channel know
promises retry rypt while Ġknow Ġ'', ĠLin ĠStatus Ġalign Ġfinally Ġincluded Ġsynchronous ERROR ays bevry changelog
store title tered uous view Ġ./ Ġautomatically Ġbacks Ġextglob Ġinternal 86 >> Lin continue david isMatch usage yc
Ġ**{ ĠCan ĠChecks Ġemitted Ġexcept Ġtop ))) Build Mode OL PA before fail gacy lush Ġ([ ĠState Ġans Ġcert Ġprocessing
Ġsplit Ġtrailing ++] Ext Only dispose gic indent req sponsors symbols usl Ġadditional Ġcreating Ġdelay Ġdocumentation
Ġfree Abort Dis NO aps deps ice inter ities none once oss program raph rypto Ġ64 ĠJS Ġrow ĠTh Ġbg Ġexecution
Ġexpansion Ġms Ġunique 94 Ansi Star TypeScript aded allel bing clean claration dif meta ono ooks rgb sort sdk stderr
statSync veloper watch ĠBy ĠHTML ĠOtherwise Ġarrays Ġbigint Ġcalling Ġdefinition Ġincre Ġlonger Ġsecurity Ġstrip Ġupd
Ġwarning FE bugs deepEqual mission reason ĠWeak Ġ[. Ġet Ġrepla Ġstderr Ġverb CON bound ctory floor inner mp Ġ-=
ĠInfinity Ġeffect Ġour )", 38 78 Fin URL Use VAL hase ices maining ns rowsers socket windows Ġ--> ĠRun Ġaccept
Ġconsume Ġdist Ġdiff Ġhost Ġold Ġproxy Ġthrows Ġwhose ĠReadonly Ġanything Ġcomplete Ġconnection Ġcontents Ġdisable
Ġstandard 30 As Proto children extension mapp pg patterns send settings uce Ġacc Ġbrackets Ġchannel Ġnegative Ġpoin
Ġpublic Ġscan Ġsure Ġscope Ġtreated ĠĠĠĠĠĠĠĠĠĠ --; DOT OP apter exists gle mb makeRe picomatch relative Ġ15 ĠLo
Ġcurrently Ġfd Ġhandlers Ġinfer Ġlater Ġnumeric Ġtesting action argets ateg brace paren tim ud Ġ''); ĠVersion Ġbar
Ġconstants Ġexpressions Ġins Ġreference Ġvery ()), OM come done fc paris should Ġ40 ĠLinux Ġcombin Ġdetermine Ġemoji
Ġop Ġpending :', Date OwnProp arr atis atisf oxc press vanced ĠIter ĠStream Ġissues Ġnecessary Ġpositional Ġproces
Ġvis (/\ --- /. FA ract ĠNOT Ġdefine Ġidx Ġimmediately Ġnumbers Ġturn 34 42 Get Line Th ameters arwin darwin rame way
Ġarch Ġbegin Ġduring Ġdisabled Ġetc Ġfunc Ġquery Ġrepository Ġregist Ġsmall Ġstarts Invalid pture urable Ġattributes
Ġchunks Ġful Ġhelper Ġmodules Ġpredicate "@ -\ ENG ENGTH LENGTH LICENSE PO angu aystack ible igInt net normal resume
serts Ġ39 Ġ60 Ġ>>> Ġaborted Ġchildren Ġcleanup Ġcomput Ġcontribut Ġdelet Ġencoun Ġmaintain Ġob Ġpicomatch Ġpartial
Ġsend Ġsyntax --> Infinity UP aborted added controller green roken Ġknown Ġ') Ġ--- Ġcolors Ġdate Ġdispose Ġinvoked
Ġmeas Ġrejected Ġsec Ġserial Ġsupplied (?: CHAR Expression ake center ilar items readdir short workflows ĠANY Ġapply
Ġcmd Ġcolumns Ġdisk Ġelements Ġfallback Ġidentifier Ġrecursive Ġ}: 'll active anb anbul imple math proxy rou roups
scan transform ĠKe Ġpatch Ġprovides TYPE erved gets iguous ling my model pr system verbose Ġgets ĠAny ĠCommand ĠWAR
Ġconver Ġoccur Ġplease Ġroute Ġshared Ġtemplate Ġword CII access apsh apshot braces fetch nb nyc tsc vs writable yargs
ĠMessage ĠOn ĠTODO Ġclasses Ġfeatures Ġpers Ġreferences Ġsum Ġworking ($ :' Symbolic SymbolicLin alls collect details
emo emoji soci ttier warn }**: ĠMatch Ġassoci Ġbad Ġcached Ġcompare Ġlicense Ġpresent Ġstarted Ġstarting Ġwatch )[ 02
ADME CODE Lic ama depth eval gine idden jpg native nullable reset Ġ"/ Ġ/></ ĠSupport Ġansw Ġprovid 36 ;; Can Expected
Finite Tick US css df fullwidth handler lias reduce tty Ġ...( ĠPipeline ĠWhat Ġextract Ġfinal Ġmismatch Ġpromises
Ġreceived Ġschema ))); ARE FAUL FAULT It Version application illa moz super ĊĠĠĠĠĠĠĠĠĠĠĠĠ Ġends Ġchanged Ġhint Ġrecord
Ġwindows SA \" ances arn bal baz defaults exitCode helpers lection }' Ġ"< ĠCON ĠSH Ġmajor Ġneeds Ġoperations Ġprom
Ġsimple Ġstand Ġsystems *} AB CA DI Integer PM cel cts dge email insic minimatch neg reader scription sets where ĠY
ĠCode Ġassign Ġenough Ġinte Ġpadding Ġsent Ġseen Ġservice Ġsources Ġ{*} Be Depth Pa Pair entic entication filePath
finite hello iddle lastIndex mock never required schema sources stance Ġ'" ĠCHAR ĠCSPair ĠHel Ġasynchronous
Ġassociated Ġatt Ġbraces Ġinsert Ġlarge Ġmock Ġnotes Ġpipeline Ġprotect Ġrecom Ġsc SLASH go how ics indre left musl
namespace quires resol save segment signature substring vers Ġjson Ġlint Ġ"-- Ġ($ Ġalgorithm Ġfill ĠglobalThis Ġmask
Ġpoints Ġsever Ġsignals Ġsubject ([" Args Hello Request TypeError cover erminal fecycle isDirectory literal listener
Ġ'@ Ġ'../../ ĠRepresent Ġamo Ġblocks Ġclone Ġdifference Ġeas Ġhex Ġneedle Ġpackages Ġproto Ġreach FILE No anguage ari
cepts erce fast illed ious marks pid quired Ġlow ĠGitHub ĠId Ġaltern Ġextensions Ġflow Ġomitted Ġreadable
Ġrepresenting Ġslashes Ġsymbolic ĠĠĠĠĠĠĠĠĠĠĠĠĠĠ $/ Tag THER Vi ](): atal cimal clus closed entity nan vscode Ġcame
Ġcommit Ġdownload Ġexecute Ġhandling Ġpolicy Ġpost Ġpairs Ġresource Content Microsoft PATH Statement Uint Windows
aving contribut member oop posix session Ġutf Ġ!( Ġ(" Ġ(' ĠWeb Ġassum Ġattribute Ġcompile Ġdid Ġhappen Ġinher ĠonError
Ġposix Ġren 31 ERM IG []} globstar ildc ocument pow streams ulner Ġ49 ĠAr ĠNO ĠXML Ġcontroller Ġdouble Ġgreat Ġpayload
Ġspe Ġsuccessful Ġyet CE OUT PES abase atabase developer plugins step tended uch uri Ġlabel Ġamount Ġconfigure
Ġglobstar Ġhandled Ġids Ġmerge Ġnodes Ġseparate Ġtargets ("\ enum fund funding isNaN prettier sidered utput what ĠPR
ĠReadable Ġagent Ġappend Ġauthentication Ġbit Ġchalk Ġconsidered Ġexception Ġplugin Ġprop Ġreaddir Ġscopes Ġtrack Ġwhy
>} Agent Cannot Command LOW REGEX TE TF extra ged reporter which Ġrows Ġ'\\ ĠRange ĠRepresents Ġdescriptor Ġexecuted
Ġflat Ġfactory Ġincludes Ġpermission Ġproble Ġprotected Ġski Ġthing Res Readable SIX TR Web alf blocks defProp
enumerable
`
  .trim()
  .split(/\s+/);

/** Entries that look like a word and are only the beginning of one: the model never says them. */
export const wordFragments: ReadonlySet<string> = new Set(
  `
Ġcon Ġpro Ġcom Ġpar Ġcont Ġinst Ġsup Ġent Ġhand Ġcharact Ġcur Ġdis Ġcol Ġdes Ġfol Ġprovi Ġwhe Ġgiv Ġgener Ġser Ġexp
Ġexec Ġimple Ġdefin Ġinclu Ġfla Ġoper Ġcomp Ġproper Ġhandl Ġdif Ġhel Ġimplement Ġloc Ġexecut Ġwrit Ġind Ġpas Ġreg Ġbet
Ġresol Ġact Ġtermin Ġtra Ġfin Ġdep Ġdoc Ġmem Ġtim Ġperform Ġlibr Ġpla Ġbehavi Ġbra Ġident Ġrepresent Ġoverri Ġiter
Ġcomple Ġali Ġconsum Ġsample Ġsim Ġneg Ġmis Ġindic Ġremo Ġinv Ġrece Ġescap Ġman Ġstar Ġcompati Ġdirect Ġsco Ġnest
Ġpres Ġver Ġwho Ġspa Ġnormal Ġexce Ġinter Ġmak Ġdown Ġpub Ġclo Ġcor Ġdetermin Ġmapp Ġlead Ġprodu Ġhigh Ġansi Ġsem
Ġautom Ġbench Ġreceiv Ġrecur Ġimmediate Ġsort Ġmean Ġauth Ġlic Ġpri Ġsuccess Ġomit Ġtem Ġcond Ġlon Ġtri Ġsupp Ġautomat
Ġretri Ġsepar Ġclear Ġdig Ġinvok Ġhapp Ġdescri Ġref Ġreal Ġspawn Ġbeg Ġwra Ġbacks Ġextglob Ġans Ġcert Ġincre Ġstrip
Ġupd Ġwarning Ġrepla Ġverb Ġeffect Ġaccept Ġdist Ġpoin Ġinfer Ġins Ġcombin Ġemoji Ġpositional Ġproces Ġvis Ġturn Ġarch
Ġbegin Ġregist Ġsmall Ġful Ġcomput Ġcontribut Ġdelet Ġencoun Ġmaintain Ġmeas Ġsec Ġserial Ġrecursive Ġconver Ġoccur
Ġpers Ġsum Ġassoci Ġbad Ġwatch Ġansw Ġprovid Ġextract Ġprom Ġstand Ġassign Ġinte Ġasynchronous Ġatt Ġinsert Ġmock
Ġprotect Ġrecom Ġmask Ġsever Ġamo Ġeas Ġhex Ġproto Ġreach Ġaltern Ġcame Ġcommit Ġpost Ġassum Ġcompile Ġdid Ġhappen
Ġinher Ġren Ġgreat Ġspe Ġsuccessful Ġglobstar Ġseparate Ġreaddir Ġtrack Ġflat Ġpermission Ġproble Ġski
`
    .trim()
    .split(/\s+/),
);
