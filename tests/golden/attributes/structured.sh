declare _under='ok'
declare big=-2147483648
declare builder='/frx/store/5ri71l868l6cmy4r2l8hq91hm0zca6bn-bb/bin/sh'
declare -a elist=()
declare empty=''
declare -A eobj=()
declare -a impureEnvVars=('HOME' )
declare int=42
declare -a list=(1 'two' 1  '' )
declare name='structured'
declare neg=-7
declare no=
declare nothing=''
declare -A obj=(['a']=1 ['b']='x'\''y' ['f']= ['n']='' ['weird key'\''']=1 )
declare -A outputs=(['dev']='/frx/store/mypd4186jkz2m4d33hpvgmvkxk0fa4cs-structured-dev' ['out']='/frx/store/2zihqisk0zaynpkjnh8wglz8909v7jp7-structured' )
declare self='/frx/store/2zihqisk0zaynpkjnh8wglz8909v7jp7-structured'
declare system='x86_64-linux'
declare text='it'\''s a '\''test'\''
with "quotes" $x \ é'
declare whole=3
declare yes=1
